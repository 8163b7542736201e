// Lists the OpenCL devices that the installed loader and drivers offer, one per line, and fails when there is none,
// saying how far it came. It goes through the package's own table of functions, so it finds what the package finds.

#include <COpenCL.h>
#include <stdio.h>

static void print_name(const copencl_table *opencl, cl_platform_id platform, cl_device_id device) {
  char platform_name[256] = "?", name[256] = "?";
  opencl->getPlatformInfo(platform, CL_PLATFORM_NAME, sizeof platform_name, platform_name, NULL);
  opencl->getDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL);
  printf("%s: %s\n", platform_name, name);
}

int main(void) {
  enum { most = 64 };
  copencl_table opencl;
  const char *message = NULL;
  if (!copencl_load(NULL, &opencl, &message)) {
    fprintf(stderr, "no OpenCL loader: %s\n", message ? message : "unknown");
    return 1;
  }
  cl_platform_id platforms[most];
  cl_uint platform_count = 0, device_total = 0;
  cl_int status = opencl.getPlatformIDs(most, platforms, &platform_count);
  if (status != CL_SUCCESS || platform_count == 0) {
    fprintf(stderr, "the OpenCL loader lists no platform (status %d)\n", status);
    return 1;
  }
  for (cl_uint i = 0; i < platform_count && i < most; i++) {
    cl_device_id devices[most];
    cl_uint device_count = 0;
    status = opencl.getDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, most, devices, &device_count);
    if (status != CL_SUCCESS || device_count == 0) {
      fprintf(stderr, "OpenCL platform %u lists no device (status %d)\n", i, status);
      continue;
    }
    for (cl_uint j = 0; j < device_count && j < most; j++) print_name(&opencl, platforms[i], devices[j]);
    device_total += device_count;
  }
  return device_total == 0;
}
