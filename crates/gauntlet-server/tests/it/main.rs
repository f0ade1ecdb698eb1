//! What the server as a whole promises.

mod corpus;
mod histories;
mod model;
mod world;
