// Included before everything that Verilator generates: what the RTL prints goes to the standard error, so that the
// standard output stays the program's own.
#pragma once
#ifdef __cplusplus
extern "C"
#endif
int ps_printf(const char* format, ...);
#define VL_PRINTF ps_printf
