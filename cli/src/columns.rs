//! Text in aligned columns under headings, and nothing at all without rows.

use anyhow::Result;

use crate::output;

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
        self.lines().try_for_each(output::line)
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let headings = (!self.rows.is_empty()).then(|| self.headings.map(str::to_owned));
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = self.rows.iter().map(|row| width(&row[column]));
            cells.chain([width(self.headings[column])]).max().unwrap_or(0)
        });
        headings.into_iter().chain(self.rows.iter().cloned()).map(move |row| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join(GAP).trim_end().to_owned()
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
    fn columns_without_rows_have_no_headings() {
        assert_eq!(Columns::new(["id"]).lines().count(), 0);
    }
}
