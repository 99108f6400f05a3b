#include "cpu/kernels.h"

int main() {
  return actclip::cpu::kernels(actclip::cpu::Target::kPortable) != nullptr ? 0 : 1;
}
