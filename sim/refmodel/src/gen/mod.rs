//! Random but valid table sets, and random packets that are likely to hit them.
