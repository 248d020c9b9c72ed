// Included before all that Verilator generates of a model: assertions that cost little while they hold.
//
// An assertion asks in every cycle whether it is switched on, by a call that makes a mask bit by bit. This is the same answer, of
// which the compiler makes a test of one word, as what is asked for is a constant in every place.
#pragma once
#include "printf.h"
#include "verilated.h"

inline uint32_t VerilatedContext::assertCtlGet(VerilatedAssertCtlQuery query, VerilatedAssertType_t type,
                                               VerilatedAssertDirectiveType_t directive) const VL_MT_SAFE {
  uint32_t mask = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if (type >> i & 1) mask |= static_cast<uint32_t>(directive) << (i * ASSERT_DIRECTIVE_TYPE_MASK_WIDTH);
  }
  switch (query) {
    case VerilatedAssertCtlQuery::ASSERT_CTL_ON: return (m_s.m_assertOn & mask) != 0;
    case VerilatedAssertCtlQuery::ASSERT_CTL_FAIL_ON: return (m_s.m_assertFailOn & mask) != 0;
    case VerilatedAssertCtlQuery::ASSERT_CTL_PASS_ON_VACUOUS: return (m_s.m_assertPassOnVacuous & mask) != 0;
    case VerilatedAssertCtlQuery::ASSERT_CTL_PASS_ON_NONVACUOUS: return (m_s.m_assertPassOnNonvacuous & mask) != 0;
    case VerilatedAssertCtlQuery::ASSERT_CTL_KILL: return m_s.m_assertKill[VL_CLOG2_I(mask)];
  }
  return 0;
}
