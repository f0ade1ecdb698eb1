//! What events do: the table of the rules row by row, event time, days, and what is stored.

mod days;
mod order;
mod stored;
mod table;
