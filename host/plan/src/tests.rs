//! Random sequences of desired states. After each operation of each plan the card must be sound; at the end it must mean exactly
//! what was desired.

mod departed;
mod machine;
mod sound;
mod steps;
