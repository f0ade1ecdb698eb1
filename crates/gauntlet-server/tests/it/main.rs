//! What the server as a whole promises.

mod access;
mod errors;
