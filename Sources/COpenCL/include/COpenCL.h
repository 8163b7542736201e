#ifndef COPENCL_H
#define COPENCL_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <CL/cl_ext.h>

/// The OpenCL functions that TileCL calls, looked up in the loader at run time.
///
/// Linking the loader would keep a program from starting on a machine without OpenCL; this table makes its absence a
/// value instead. A table must not be used unless `copencl_load` returned 1 for it.
typedef struct {
  __typeof__(clGetPlatformIDs) *_Nonnull getPlatformIDs;
  __typeof__(clGetPlatformInfo) *_Nonnull getPlatformInfo;
  __typeof__(clGetDeviceIDs) *_Nonnull getDeviceIDs;
  __typeof__(clGetDeviceInfo) *_Nonnull getDeviceInfo;
  __typeof__(clCreateContext) *_Nonnull createContext;
  __typeof__(clReleaseContext) *_Nonnull releaseContext;
  __typeof__(clCreateCommandQueue) *_Nonnull createCommandQueue;
  __typeof__(clReleaseCommandQueue) *_Nonnull releaseCommandQueue;
  __typeof__(clCreateBuffer) *_Nonnull createBuffer;
  __typeof__(clReleaseMemObject) *_Nonnull releaseMemObject;
  __typeof__(clCreateProgramWithSource) *_Nonnull createProgramWithSource;
  __typeof__(clCreateProgramWithBinary) *_Nonnull createProgramWithBinary;
  __typeof__(clBuildProgram) *_Nonnull buildProgram;
  __typeof__(clGetProgramInfo) *_Nonnull getProgramInfo;
  __typeof__(clGetProgramBuildInfo) *_Nonnull getProgramBuildInfo;
  __typeof__(clReleaseProgram) *_Nonnull releaseProgram;
  __typeof__(clCreateKernel) *_Nonnull createKernel;
  __typeof__(clReleaseKernel) *_Nonnull releaseKernel;
  __typeof__(clSetKernelArg) *_Nonnull setKernelArg;
  __typeof__(clGetKernelInfo) *_Nonnull getKernelInfo;
  __typeof__(clGetKernelWorkGroupInfo) *_Nonnull getKernelWorkGroupInfo;
  __typeof__(clEnqueueNDRangeKernel) *_Nonnull enqueueNDRangeKernel;
  __typeof__(clEnqueueReadBuffer) *_Nonnull enqueueReadBuffer;
  __typeof__(clEnqueueWriteBuffer) *_Nonnull enqueueWriteBuffer;
  __typeof__(clEnqueueCopyBuffer) *_Nonnull enqueueCopyBuffer;
  __typeof__(clEnqueueFillBuffer) *_Nonnull enqueueFillBuffer;
  __typeof__(clEnqueueMapBuffer) *_Nonnull enqueueMapBuffer;
  __typeof__(clEnqueueUnmapMemObject) *_Nonnull enqueueUnmapMemObject;
  __typeof__(clWaitForEvents) *_Nonnull waitForEvents;
  __typeof__(clGetEventInfo) *_Nonnull getEventInfo;
  __typeof__(clGetEventProfilingInfo) *_Nonnull getEventProfilingInfo;
  __typeof__(clSetEventCallback) *_Nonnull setEventCallback;
  __typeof__(clReleaseEvent) *_Nonnull releaseEvent;
  __typeof__(clFlush) *_Nonnull flush;
  __typeof__(clFinish) *_Nonnull finish;
} copencl_table;

/// Opens the first of the named libraries that loads and fills the table.
///
/// \param library a path or soname, or null for the loader's usual sonames.
/// \param message receives, on failure, why no library could be used; static or thread-local storage.
/// \return 1 on success, 0 when no loader is installed or a required function is missing from it.
int copencl_load(const char *_Nullable library, copencl_table *_Nonnull table,
                 const char *_Nullable *_Nonnull message);

#endif
