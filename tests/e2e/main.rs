//! The system's tests, in one binary.
//!
//! Most of them run against the whole system, deployed from `template.yaml` to a local emulator. The tests
//! in [`hosted`] run the real bootstraps against a fake Runtime API and a fake AWS, to produce failures that
//! an emulator cannot produce.

mod support;

mod after_outages;
mod alarms;
mod api;
mod control;
mod delivery_log;
mod dlq;
mod doctor;
mod documents;
mod event_types;
mod events;
mod fairness;
mod faults;
mod health;
mod keys;
mod listen;
mod neighbours;
mod old_rows;
mod openapi;
mod parameters;
mod permissions;
mod receiving;
mod repair;
mod replays;
mod retries;
mod rotation;
mod runbook;
mod samples;
mod shown;
mod skipped;
mod tested_endpoints;
mod unattempted;

mod hosted;
