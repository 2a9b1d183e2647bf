//! `docintell`, the tool for people: a stack on this machine, job states, API keys.
//!
//! `command_line` says which command is meant; [`local`], `job` and [`keys`] are the commands. [`stack`] finds
//! the stack that a command works on, local or on AWS, and holds its outputs. [`local`] needs a [`checkout`] of
//! this project; commands for a deployed stack work anywhere. [`progress`] shows what takes time, and [`program`]
//! runs other programs for it. Tests start their stacks through [`local::LocalStack`].
//!
//! The rule: an error is a sentence that says what was wrong and what to do.

pub mod checkout;
mod command_line;
pub mod http;
mod job;
pub mod keys;
pub mod local;
pub mod program;
pub mod progress;
pub mod stack;

pub use command_line::run;
