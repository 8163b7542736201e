#include "COpenCL.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/// Opens the named library or the loader's usual sonames; on failure `reason` tells why the first of them did not open.
static void *open_loader(const char *library, char *reason, size_t size) {
  const char *const sonames[] = {library ? library : "libOpenCL.so.1", "libOpenCL.so"};
  for (size_t i = 0; i < (library ? 1 : 2); i++) {
    void *handle = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL);
    if (handle) return handle;
    const char *said = dlerror();
    if (i == 0) snprintf(reason, size, "%s", said ? said : "the library could not be opened");
  }
  return NULL;
}

int copencl_load(const char *library, copencl_table *table, const char **message) {
  static _Thread_local char text[512];
  memset(table, 0, sizeof *table);
  *message = text;

  // The handle stays open for the life of the process: drivers do not survive being unloaded.
  void *handle = open_loader(library, text, sizeof text);
  if (!handle) return 0;

#define LOOK_UP(member, name)                                                   \
  table->member = (__typeof__(table->member))dlsym(handle, #name);              \
  if (!table->member) {                                                         \
    snprintf(text, sizeof text, "the OpenCL loader lacks the function %s", #name); \
    return 0;                                                                   \
  }

  LOOK_UP(getPlatformIDs, clGetPlatformIDs)
  LOOK_UP(getPlatformInfo, clGetPlatformInfo)
  LOOK_UP(getDeviceIDs, clGetDeviceIDs)
  LOOK_UP(getDeviceInfo, clGetDeviceInfo)
  LOOK_UP(createContext, clCreateContext)
  LOOK_UP(releaseContext, clReleaseContext)
  LOOK_UP(createCommandQueue, clCreateCommandQueue)
  LOOK_UP(releaseCommandQueue, clReleaseCommandQueue)
  LOOK_UP(createBuffer, clCreateBuffer)
  LOOK_UP(releaseMemObject, clReleaseMemObject)
  LOOK_UP(createProgramWithSource, clCreateProgramWithSource)
  LOOK_UP(createProgramWithBinary, clCreateProgramWithBinary)
  LOOK_UP(buildProgram, clBuildProgram)
  LOOK_UP(getProgramInfo, clGetProgramInfo)
  LOOK_UP(getProgramBuildInfo, clGetProgramBuildInfo)
  LOOK_UP(releaseProgram, clReleaseProgram)
  LOOK_UP(createKernel, clCreateKernel)
  LOOK_UP(releaseKernel, clReleaseKernel)
  LOOK_UP(setKernelArg, clSetKernelArg)
  LOOK_UP(getKernelInfo, clGetKernelInfo)
  LOOK_UP(getKernelWorkGroupInfo, clGetKernelWorkGroupInfo)
  LOOK_UP(enqueueNDRangeKernel, clEnqueueNDRangeKernel)
  LOOK_UP(enqueueReadBuffer, clEnqueueReadBuffer)
  LOOK_UP(enqueueWriteBuffer, clEnqueueWriteBuffer)
  LOOK_UP(enqueueCopyBuffer, clEnqueueCopyBuffer)
  LOOK_UP(enqueueFillBuffer, clEnqueueFillBuffer)
  LOOK_UP(enqueueMapBuffer, clEnqueueMapBuffer)
  LOOK_UP(enqueueUnmapMemObject, clEnqueueUnmapMemObject)
  LOOK_UP(waitForEvents, clWaitForEvents)
  LOOK_UP(getEventInfo, clGetEventInfo)
  LOOK_UP(getEventProfilingInfo, clGetEventProfilingInfo)
  LOOK_UP(setEventCallback, clSetEventCallback)
  LOOK_UP(releaseEvent, clReleaseEvent)
  LOOK_UP(flush, clFlush)
  LOOK_UP(finish, clFinish)
  return 1;
}
