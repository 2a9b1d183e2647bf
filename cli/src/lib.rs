//! `docintell`, the command-line tool: a stack on this machine, a receiver for developers, a check of a stack, job states,
//! API keys, parked messages, and tenants.
//!
//! `command_line` parses the arguments and runs one of the commands [`local`], `listen`, `doctor`, `job`, [`keys`],
//! `dlq`, and those of `tenant`. [`stack`] finds the stack that a command works on, local or on AWS, and holds its outputs.
//! [`local`] needs a [`checkout`] of this project; commands for a deployed stack work anywhere. `completions` prints
//! scripts for shells. `arguments` and `age` parse options. [`progress`] shows slow tasks, `stop` is Ctrl-C, and
//! [`program`] runs other programs. `output`, `columns`, `words` and `style` print results. Tests start stacks with
//! [`local::LocalStack`].
//!
//! The rule: an error message says what is wrong and what to do.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic if the pipe is closed: use `output`"
)]
#![allow(missing_docs, reason = "a program; only this workspace uses its library")]

mod age;
mod arguments;
pub mod checkout;
mod columns;
mod command_line;
mod completions;
mod dlq;
mod doctor;
pub mod http;
mod job;
pub mod keys;
mod listen;
pub mod local;
mod output;
pub mod program;
pub mod progress;
pub mod stack;
mod stop;
mod style;
mod tenant;
mod words;

pub use command_line::run;
