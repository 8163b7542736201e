#ifndef TILECL_KERNELS_H
#define TILECL_KERNELS_H

#include <stddef.h>

/// One embedded file of the folder Kernels.
typedef struct {
  const char *_Nonnull path;          ///< Path below Kernels, with forward slashes.
  const unsigned char *_Nonnull text; ///< UTF-8, not terminated.
  size_t length;                      ///< In bytes.
} tilecl_kernel_file;

/// All embedded files; `*count` receives how many.
const tilecl_kernel_file *_Nonnull tilecl_kernel_files(size_t *_Nonnull count);

#endif
