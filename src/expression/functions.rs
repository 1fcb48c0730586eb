//! Filters, tests and functions.
