//! What every figure in the README and in `docs/PERFORMANCE.md` comes from.

pub mod bench;
pub mod progress;
pub mod report;
pub mod spread;
pub mod table;

pub mod share;

pub mod bare;
pub mod functions;
pub mod guard;
pub mod interim;
pub mod memory;
pub mod rates;
pub mod start;

pub mod cost;
pub mod growth;

pub mod neighbours;

pub mod alternatives;
