#include "stable_abi.h"
int32_t float32() { return aoti_torch_dtype_float32(); }
