//! Whole templates: what they mean, and what is said about them.
