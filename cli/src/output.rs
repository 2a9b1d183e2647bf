//! Prints results to standard output, and notes to standard error.
//!
//! The rule: a reader that closes the pipe, such as `head`, ends the command quietly. The `print` macros would panic.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{ErrorKind, Write as _, stderr};

use anyhow::{Context as _, Result};

/// The reader of standard output has closed it.
#[derive(Debug)]
pub(crate) struct Closed;

impl Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl Error for Closed {}

/// Prints a line to standard output; colours only on terminals.
pub(crate) fn line(text: impl Display) -> Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a line to standard error. The command continues even if nobody can read it.
pub(crate) fn note(text: impl Display) {
    writeln!(stderr(), "{text}").ok();
}
