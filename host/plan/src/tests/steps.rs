//! Single steps, read operation by operation.
