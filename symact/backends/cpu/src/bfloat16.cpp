// Gates of bfloat16 from memory to memory: where one step is the whole program, no block is widened for it.
#include "gates.h"

namespace symact {
namespace {

constexpr KernelTable table() {
    KernelTable made{};
    made.at[OP_mul] = SYMACT_ISA::product<uint16_t>;
#define X(name, function) made.at[OP_times_##name] = SYMACT_ISA::times<uint16_t, SYMACT_ISA::function>;
    SYMACT_TIMES(X)
#undef X
#define X(first, second, function) made.at[OP_gate_##function] = SYMACT_ISA::gate<uint16_t, SYMACT_ISA::function>;
    SYMACT_CLIPPED(X)
#undef X
#define X(first, second, function)                                                                \
    made.at[OP_clip_times_##function] = SYMACT_ISA::clip_times<uint16_t, SYMACT_ISA::function>; \
    made.at[OP_clip_gate_##function] = SYMACT_ISA::clip_gate<uint16_t, SYMACT_ISA::function>;
    SYMACT_GATES(X)
#undef X
    return made;
}

}  // namespace

extern const KernelTable BFLOAT16_KERNELS;
constexpr KernelTable BFLOAT16_KERNELS = table();

}  // namespace symact
