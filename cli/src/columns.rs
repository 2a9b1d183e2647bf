//! Text in aligned columns under headings, and nothing at all without rows. Headings are bold, and states have
//! colours.

use anstyle::Style;
use anyhow::Result;

use crate::output;
use crate::style::{HEADING, of_state};

/// The headings of columns whose cells are states.
const STATE_HEADINGS: [&str; 4] = ["status", "state", "health", "log"];

/// Between two columns.
const GAP: &str = "  ";

/// `N` columns. Cells must be printable.
#[derive(Debug)]
pub(crate) struct Columns<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    pub(crate) fn new(headings: [&'static str; N]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Prints the headings and the rows to standard output.
    pub(crate) fn print(&self) -> Result<()> {
        self.styled_lines().try_for_each(output::line)
    }

    /// The lines without styles.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.styled_lines().map(|line| anstream::adapter::strip_str(&line).to_string())
    }

    fn styled_lines(&self) -> impl Iterator<Item = String> {
        let headings = (!self.rows.is_empty()).then(|| self.headings.map(str::to_owned));
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = self.rows.iter().map(|row| width(&row[column]));
            cells.chain([width(self.headings[column])]).max().unwrap_or(0)
        });
        let last = widths.len() - 1;
        headings.into_iter().chain(self.rows.iter().cloned()).enumerate().map(move |(line, row)| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let style = match line {
                    0 => HEADING,
                    _ if STATE_HEADINGS.contains(&self.headings[column]) => of_state(cell),
                    _ => Style::new(),
                };
                let padding = if column == last { 0 } else { widths[column] - width(cell) };
                format!("{style}{cell}{style:#}{:padding$}", "")
            });
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        })
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_trailing_space() {
        let mut columns = Columns::new(["id", "reason"]);
        columns.add(["é".to_owned(), "the endpoint answered 410".to_owned()]);
        columns.add(["1234".to_owned(), String::new()]);
        let lines: Vec<String> = columns.lines().collect();
        assert_eq!(lines, ["id    reason", "é     the endpoint answered 410", "1234"]);
    }

    #[test]
    fn headings_are_bold_and_a_state_has_its_colour() {
        let mut columns = Columns::new(["status", "reason"]);
        columns.add(["failed".to_owned(), "failed".to_owned()]);
        let lines: Vec<String> = columns.styled_lines().collect();
        let expected = [
            "\u{1b}[1mstatus\u{1b}[0m  \u{1b}[1mreason\u{1b}[0m",
            "\u{1b}[31mfailed\u{1b}[0m  failed",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn columns_without_rows_have_no_headings() {
        assert_eq!(Columns::new(["id"]).lines().count(), 0);
    }
}
