#ifndef COPENCL_H
#define COPENCL_H

#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <CL/cl_ext.h>

/// The OpenCL functions that TileCL calls, looked up in the loader at run time.
///
/// Linking the loader would keep a program from starting on a machine without OpenCL; this table makes its absence a
/// value instead. After a successful load every member is set.
typedef struct {
  __typeof__(clGetPlatformIDs) *_Nullable getPlatformIDs;
  __typeof__(clGetPlatformInfo) *_Nullable getPlatformInfo;
  __typeof__(clGetDeviceIDs) *_Nullable getDeviceIDs;
  __typeof__(clGetDeviceInfo) *_Nullable getDeviceInfo;
  __typeof__(clCreateContext) *_Nullable createContext;
  __typeof__(clReleaseContext) *_Nullable releaseContext;
  __typeof__(clCreateCommandQueue) *_Nullable createCommandQueue;
  __typeof__(clReleaseCommandQueue) *_Nullable releaseCommandQueue;
  __typeof__(clCreateBuffer) *_Nullable createBuffer;
  __typeof__(clReleaseMemObject) *_Nullable releaseMemObject;
  __typeof__(clCreateProgramWithSource) *_Nullable createProgramWithSource;
  __typeof__(clCreateProgramWithBinary) *_Nullable createProgramWithBinary;
  __typeof__(clBuildProgram) *_Nullable buildProgram;
  __typeof__(clGetProgramInfo) *_Nullable getProgramInfo;
  __typeof__(clGetProgramBuildInfo) *_Nullable getProgramBuildInfo;
  __typeof__(clReleaseProgram) *_Nullable releaseProgram;
  __typeof__(clCreateKernel) *_Nullable createKernel;
  __typeof__(clReleaseKernel) *_Nullable releaseKernel;
  __typeof__(clSetKernelArg) *_Nullable setKernelArg;
  __typeof__(clGetKernelInfo) *_Nullable getKernelInfo;
  __typeof__(clGetKernelWorkGroupInfo) *_Nullable getKernelWorkGroupInfo;
  __typeof__(clEnqueueNDRangeKernel) *_Nullable enqueueNDRangeKernel;
  __typeof__(clEnqueueReadBuffer) *_Nullable enqueueReadBuffer;
  __typeof__(clEnqueueWriteBuffer) *_Nullable enqueueWriteBuffer;
  __typeof__(clEnqueueCopyBuffer) *_Nullable enqueueCopyBuffer;
  __typeof__(clEnqueueFillBuffer) *_Nullable enqueueFillBuffer;
  __typeof__(clEnqueueMapBuffer) *_Nullable enqueueMapBuffer;
  __typeof__(clEnqueueUnmapMemObject) *_Nullable enqueueUnmapMemObject;
  __typeof__(clWaitForEvents) *_Nullable waitForEvents;
  __typeof__(clGetEventInfo) *_Nullable getEventInfo;
  __typeof__(clGetEventProfilingInfo) *_Nullable getEventProfilingInfo;
  __typeof__(clSetEventCallback) *_Nullable setEventCallback;
  __typeof__(clReleaseEvent) *_Nullable releaseEvent;
  __typeof__(clFlush) *_Nullable flush;
  __typeof__(clFinish) *_Nullable finish;
} copencl_table;

/// Opens the first of the named libraries that loads and fills the table.
///
/// \param library a path or soname, or null for the loader's usual sonames.
/// \param message receives, on failure, why no library could be used; static or thread-local storage.
/// \return 1 on success, 0 when no loader is installed or a required function is missing from it.
int copencl_load(const char *_Nullable library, copencl_table *_Nonnull table,
                 const char *_Nullable *_Nonnull message);

#endif
