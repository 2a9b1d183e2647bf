//! Tables of figures, for people as Markdown and for programs as JSON.

use std::fmt;

use serde::Serialize;

use crate::spread::Spread;

/// One table of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The columns' headings, units included.
    pub columns: Vec<&'static str>,
    /// As many cells in each row as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// What has to be known to read it, a sentence each.
    pub notes: Vec<String>,
}

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A count, or a figure that is computed from counts.
    Number {
        /// The figure.
        value: f64,
        /// Digits that are shown after the point.
        #[serde(skip)]
        decimals: usize,
    },
    /// A figure that was measured several times.
    Measured {
        /// What the measurements were.
        #[serde(flatten)]
        spread: Spread,
        /// Digits that are shown after the point.
        #[serde(skip)]
        decimals: usize,
    },
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self { title: title.into(), columns: columns.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    ///
    /// When it has not as many cells as the table has columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<_> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "a row of the table \"{}\"", self.title);
        self.rows.push(cells);
    }

    /// Adds a sentence that is needed to read the table.
    pub fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }
}

impl Cell {
    /// Words.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A figure with so many digits after the point.
    #[must_use]
    pub fn number(value: f64, decimals: usize) -> Self {
        Self::Number { value, decimals }
    }

    /// A count.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
    pub fn count(value: u64) -> Self {
        Self::number(value as f64, 0)
    }

    /// Median and extremes, with so many digits after the point.
    #[must_use]
    pub fn measured(spread: Spread, decimals: usize) -> Self {
        Self::Measured { spread, decimals }
    }

    /// Median, lowest and highest of some measurements; a dash of none.
    #[must_use]
    pub fn extremes(values: Vec<f64>, decimals: usize) -> Self {
        Self::of(Spread::of(values), decimals)
    }

    /// Median and quartiles of some measurements; a dash of none.
    #[must_use]
    pub fn quartiles(values: Vec<f64>, decimals: usize) -> Self {
        Self::of(Spread::quartiles(values), decimals)
    }

    fn of(spread: Option<Spread>, decimals: usize) -> Self {
        spread.map_or_else(|| Self::text("–"), |spread| Self::measured(spread, decimals))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number { value, decimals } => f.write_str(&grouped(*value, *decimals)),
            Self::Measured { spread, decimals } => {
                let [low, median, high] =
                    [spread.low, spread.median, spread.high].map(|it| grouped(it, *decimals));
                write!(f, "{median} ({low}–{high})")
            }
        }
    }
}

/// As Markdown, its columns aligned so that it can be read as text too; figures to the right.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        let width = |at: usize| {
            let cells = cells.iter().map(|row| row[at].chars().count());
            cells.chain([self.columns[at].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_figure = |at: usize| {
            !self.rows.is_empty() && self.rows.iter().all(|row| !matches!(row[at], Cell::Text(_)))
        };
        let figures: Vec<bool> = (0..self.columns.len()).map(is_figure).collect();

        writeln!(f, "### {}\n", self.title)?;
        line(f, self.columns.iter().copied(), &widths, &figures)?;
        for (width, figure) in widths.iter().zip(&figures) {
            let end = if *figure { "-:" } else { "--" };
            write!(f, "|{}{end}", "-".repeat(*width))?;
        }
        writeln!(f, "|")?;
        for row in &cells {
            line(f, row.iter().map(String::as_str), &widths, &figures)?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

fn line<'a>(
    f: &mut fmt::Formatter<'_>,
    cells: impl Iterator<Item = &'a str>,
    widths: &[usize],
    figures: &[bool],
) -> fmt::Result {
    for ((cell, width), figure) in cells.zip(widths).zip(figures) {
        if *figure {
            write!(f, "| {cell:>width$} ")?;
        } else {
            write!(f, "| {cell:<width$} ")?;
        }
    }
    writeln!(f, "|")
}

/// With a comma between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |it| ("-", it));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    [sign, &grouped, fraction].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown_that_is_aligned() {
        let mut table = Table::new("Rates", &["case", "deliveries/s"]);
        let spread = Spread::of(vec![18_500.0, 17_900.4, 19_000.0]).unwrap();
        table.row([Cell::text("batch 10"), Cell::measured(spread, 0)]);
        table.row([Cell::text("none"), Cell::number(-1234.567, 1)]);
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
    fn a_program_reads_figures_as_numbers() {
        let spread = Spread::of(vec![1.0, 2.0, 3.0]).unwrap();
        let cells = [Cell::text("a"), Cell::count(7), Cell::measured(spread, 0)];
        assert_eq!(
            serde_json::to_string(&cells).unwrap(),
            r#"["a",{"value":7.0},{"median":2.0,"low":1.0,"high":3.0}]"#
        );
    }
}
