//! What every figure in the README and in `docs/PERFORMANCE.md` comes from.

pub mod endpoint;
pub mod neighbours;
pub mod round;
pub mod spread;
pub mod table;
