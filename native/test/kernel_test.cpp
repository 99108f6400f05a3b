#include "kernels.h"
int main() { return actclip::kernels().twice(2) == 4 ? 0 : 1; }
