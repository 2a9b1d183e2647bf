//! Bootstraps hosted by the test itself.
