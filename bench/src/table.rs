//! Markdown tables of figures, aligned so that they are readable as plain text.

use std::fmt;

/// One table of the report: text in the first column, figures in the others.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(ToString::to_string).collect();
        Self { title: title.into(), columns, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row. Panics if it does not have as many cells as the table has columns.
    pub(crate) fn row(
        &mut self,
        name: impl Into<String>,
        figures: impl IntoIterator<Item = String>,
    ) {
        let row: Vec<String> = std::iter::once(name.into()).chain(figures).collect();
        assert_eq!(row.len(), self.columns.len(), "a row of the table \"{}\"", self.title);
        self.rows.push(row);
    }

    /// Adds a paragraph below the table.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                let cells = self.rows.iter().chain([&self.columns]);
                cells.map(|row| row[at].chars().count()).max().unwrap_or_default()
            })
            .collect();
        writeln!(f, "### {}\n", self.title)?;
        line(f, &self.columns, &widths)?;
        for (at, width) in widths.iter().enumerate() {
            let end = if at == 0 { "--" } else { "-:" };
            write!(f, "|{}{end}", "-".repeat(*width))?;
        }
        writeln!(f, "|")?;
        for row in &self.rows {
            line(f, row, &widths)?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if at == 0 {
            write!(f, "| {cell:<width$} ")?;
        } else {
            write!(f, "| {cell:>width$} ")?;
        }
    }
    writeln!(f, "|")
}

/// Median, lowest and highest value, as `median (low–high)`; a dash if there are none.
pub(crate) fn range(mut values: Vec<f64>, decimals: usize) -> String {
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied();
    spread(values.first().copied(), median, values.last().copied(), decimals)
}

/// Median and quartiles, for many short measurements of which some are interrupted.
pub(crate) fn quartiles(mut values: Vec<f64>, decimals: usize) -> String {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get(values.len() * quarter / 4).copied();
    spread(at(1), at(2), at(3), decimals)
}

fn spread(low: Option<f64>, median: Option<f64>, high: Option<f64>, decimals: usize) -> String {
    let (Some(low), Some(median), Some(high)) = (low, median, high) else {
        return "–".to_owned();
    };
    let [low, median, high] = [low, median, high].map(|figure| number(figure, decimals));
    format!("{median} ({low}–{high})")
}

/// A figure with commas between thousands.
pub(crate) fn number(figure: f64, decimals: usize) -> String {
    let text = format!("{figure:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.trim_start_matches('-').len();
    let mut grouped = String::new();
    for (at, character) in whole.chars().enumerate() {
        let digits_left = whole.len() - at;
        if digits_left < digits && digits_left.is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new("Rates", &["case", "deliveries/s"]);
        table.row("batch 10", [range(vec![18_500.0, 17_900.4, 19_000.0], 0)]);
        table.row("none", [number(-1234.567, 1)]);
        table.note("On one core.");
        let expected = "\
### Rates

| case     |           deliveries/s |
|----------|-----------------------:|
| batch 10 | 18,500 (17,900–19,000) |
| none     |               -1,234.6 |

On one core.
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn the_order_of_measurements_does_not_matter() {
        assert_eq!(range(vec![9.0, 1.0, 3.0], 0), "3 (1–9)");
        assert_eq!(quartiles(vec![4.0, 1.0, 3.0, 2.0], 0), "3 (2–4)");
    }

    #[test]
    fn no_measurements_are_a_dash() {
        assert_eq!([range(vec![], 0), quartiles(vec![], 0)], ["–", "–"]);
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        assert_eq!(number(-123.0, 0), "-123");
        assert_eq!(number(1_234_567.891, 2), "1,234,567.89");
    }
}
