#pragma once
#include <cstdint>
extern "C" int32_t aoti_torch_dtype_float32();
