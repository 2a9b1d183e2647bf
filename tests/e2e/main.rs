//! The system's tests, one binary.
//!
//! Most of them run against the whole system, deployed from `template.yaml` to a local emulator. Those
//! in [`hosted`] give the real bootstraps a Runtime API and an AWS of the test's own, to fail what an
//! emulator cannot be made to fail.

mod support;

mod api;
mod control;
mod delivery_log;
mod documents;
mod event_types;
mod events;
mod fairness;
mod faults;
mod neighbours;
mod old_rows;
mod permissions;
mod retries;
mod samples;
mod shown;

mod hosted;
