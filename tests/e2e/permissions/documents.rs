//! The tables of `docs/PERMISSIONS.md` and `docs/OPERATIONS.md`, found by the heading of their first column.

const PAGES: [&str; 2] =
    [include_str!("../../../docs/PERMISSIONS.md"), include_str!("../../../docs/OPERATIONS.md")];

/// A table's rows, without the headings.
pub(crate) struct Table {
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
pub(crate) struct Cell {
    pub text: String,
    /// The parts of the text in code style.
    pub code: Vec<String>,
}

impl Table {
    /// The table whose first column is headed `heading`.
    pub(crate) fn read(heading: &str) -> Self {
        let head = format!("| {heading} |");
        let mut lines = PAGES
            .into_iter()
            .flat_map(str::lines)
            .skip_while(|line| !line.starts_with(&head))
            .skip(1);
        assert!(lines.next().is_some_and(|line| line.starts_with("|---")), "no table {head}");
        let rows = lines.take_while(|line| line.starts_with('|')).map(cells).collect();
        Self { rows }
    }

    /// The parts of the first column in code style, sorted.
    pub(crate) fn subjects(&self) -> Vec<&str> {
        let mut subjects: Vec<&str> =
            self.rows.iter().flat_map(|row| &row[0].code).map(String::as_str).collect();
        subjects.sort_unstable();
        subjects
    }
}

fn cells(line: &str) -> Vec<Cell> {
    line.trim_matches('|')
        .split('|')
        .map(|cell| Cell {
            text: cell.trim().to_owned(),
            // Every second part is between two backticks.
            code: cell.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
        })
        .collect()
}
