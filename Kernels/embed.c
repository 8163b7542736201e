// Every kernel file of this folder, embedded as bytes. A test compares this list with the folder.
#include "tilecl_kernels.h"

static const unsigned char common_storage[] = {
#embed "common/storage.clh"
};
static const unsigned char common_vectors[] = {
#embed "common/vectors.clh"
};
static const unsigned char common_output[] = {
#embed "common/output.clh"
};
static const unsigned char common_rows[] = {
#embed "common/rows.clh"
};
static const unsigned char attention_common[] = {
#embed "attention/common.clh"
};
static const unsigned char attention_scores[] = {
#embed "attention/scores.clh"
};
static const unsigned char attention_tiles[] = {
#embed "attention/tiles.clh"
};
static const unsigned char attention_vectors[] = {
#embed "attention/vectors.clh"
};
static const unsigned char attention_walk[] = {
#embed "attention/walk.clh"
};
static const unsigned char attention_attention[] = {
#embed "attention/attention.cl"
};
static const unsigned char attention_attention_vector[] = {
#embed "attention/attention.vector.cl"
};
static const unsigned char attention_attention_avx512bf16[] = {
#embed "attention/attention.avx512bf16.cl"
};
static const unsigned char attention_gradients[] = {
#embed "attention/gradients.clh"
};
static const unsigned char attention_attention_backward[] = {
#embed "attention/attention_backward.cl"
};
static const unsigned char attention_attention_backward_vector[] = {
#embed "attention/attention_backward.vector.cl"
};
static const unsigned char attention_attention_sums[] = {
#embed "attention/attention_sums.cl"
};
static const unsigned char attention_attention_merge[] = {
#embed "attention/attention_merge.cl"
};
static const unsigned char attention_attention_ampere[] = {
#embed "attention/attention.ampere.cl"
};
static const unsigned char attention_attention_decode_ampere[] = {
#embed "attention/attention_decode.ampere.cl"
};
static const unsigned char ampere_instructions[] = {
#embed "ampere/instructions.ampere.clh"
};
static const unsigned char ampere_products[] = {
#embed "ampere/products.ampere.clh"
};
static const unsigned char attention_attention_hopper[] = {
#embed "attention/attention.hopper.cl"
};
static const unsigned char attention_attention_backward_hopper[] = {
#embed "attention/attention_backward.hopper.cl"
};
static const unsigned char attention_gradient_rows[] = {
#embed "attention/gradient_rows.clh"
};
static const unsigned char attention_backward_ampere[] = {
#embed "attention/attention_backward.ampere.cl"
};
static const unsigned char attention_gradient_maps_hopper[] = {
#embed "attention/gradient_maps.hopper.clh"
};
static const unsigned char attention_gradients_hopper[] = {
#embed "attention/gradients.hopper.clh"
};
static const unsigned char attention_copies_hopper[] = {
#embed "attention/copies.hopper.clh"
};
static const unsigned char attention_maps_hopper[] = {
#embed "attention/maps.hopper.clh"
};
static const unsigned char attention_scores_hopper[] = {
#embed "attention/scores.hopper.clh"
};
static const unsigned char attention_tiles_hopper[] = {
#embed "attention/tiles.hopper.clh"
};
static const unsigned char hopper_instructions[] = {
#embed "hopper/instructions.hopper.clh"
};
static const unsigned char nvidia_tanh[] = {
#embed "nvidia/tanh.nvidia.clh"
};
static const unsigned char hopper_products[] = {
#embed "hopper/products.hopper.clh"
};
static const unsigned char x86_vectors[] = {
#embed "x86/vectors.avx512.clh"
};
static const unsigned char x86_dot[] = {
#embed "x86/dot.avx512bf16.clh"
};
static const unsigned char x86_operands[] = {
#embed "x86/operands.avx512bf16.clh"
};
static const unsigned char x86_tiles[] = {
#embed "x86/tiles.amx.clh"
};
static const unsigned char linear_cross_entropy_common[] = {
#embed "linear_cross_entropy/common.clh"
};
static const unsigned char linear_cross_entropy_tiles[] = {
#embed "linear_cross_entropy/tiles.clh"
};
static const unsigned char linear_cross_entropy_linear_cross_entropy[] = {
#embed "linear_cross_entropy/linear_cross_entropy.cl"
};
static const unsigned char linear_cross_entropy_steps[] = {
#embed "linear_cross_entropy/linear_cross_entropy_steps.cl"
};
static const unsigned char linear_cross_entropy_lookup[] = {
#embed "linear_cross_entropy/linear_cross_entropy_lookup.cl"
};
static const unsigned char linear_cross_entropy_order[] = {
#embed "linear_cross_entropy/linear_cross_entropy_order.cl"
};
static const unsigned char linear_cross_entropy_backward[] = {
#embed "linear_cross_entropy/linear_cross_entropy_backward.cl"
};
static const unsigned char linear_cross_entropy_gradient_steps[] = {
#embed "linear_cross_entropy/linear_cross_entropy_gradient_steps.cl"
};
static const unsigned char cross_entropy_hopper[] = {
#embed "linear_cross_entropy/linear_cross_entropy.hopper.cl"
};
static const unsigned char cross_entropy_ampere[] = {
#embed "linear_cross_entropy/linear_cross_entropy.ampere.cl"
};
static const unsigned char cross_entropy_gradient_lists[] = {
#embed "linear_cross_entropy/gradient_lists.nvidia.clh"
};
static const unsigned char cross_entropy_gradients[] = {
#embed "linear_cross_entropy/gradients.nvidia.clh"
};
static const unsigned char cross_entropy_logits_nvidia[] = {
#embed "linear_cross_entropy/logits.nvidia.clh"
};
static const unsigned char cross_entropy_statistics_nvidia[] = {
#embed "linear_cross_entropy/statistics.nvidia.clh"
};
static const unsigned char cross_entropy_backward_hopper[] = {
#embed "linear_cross_entropy/linear_cross_entropy_backward.hopper.cl"
};
static const unsigned char cross_entropy_backward_ampere[] = {
#embed "linear_cross_entropy/linear_cross_entropy_backward.ampere.cl"
};
static const unsigned char linear_distillation_common[] = {
#embed "linear_distillation/common.clh"
};
static const unsigned char linear_distillation_linear_distillation[] = {
#embed "linear_distillation/linear_distillation.cl"
};
static const unsigned char linear_distillation_backward[] = {
#embed "linear_distillation/linear_distillation_backward.cl"
};
static const unsigned char matmul_matmul_ampere[] = {
#embed "matmul/matmul.ampere.cl"
};
static const unsigned char matmul_matmul_hopper[] = {
#embed "matmul/matmul.hopper.cl"
};
static const unsigned char matmul_tiles[] = {
#embed "matmul/tiles.clh"
};
static const unsigned char matmul_matmul_sum[] = {
#embed "matmul/matmul_sum.cl"
};
static const unsigned char matmul_matmul[] = {
#embed "matmul/matmul.cl"
};
static const unsigned char matmul_matmul_rows[] = {
#embed "matmul/matmul_rows.cl"
};
static const unsigned char matmul_pairs[] = {
#embed "matmul/pairs.avx512bf16.clh"
};
static const unsigned char matmul_matmul_vector[] = {
#embed "matmul/matmul.vector.cl"
};
static const unsigned char quantized_matmul_quantized_matmul[] = {
#embed "quantized_matmul/quantized_matmul.cl"
};
static const unsigned char quantized_matmul_quantize[] = {
#embed "quantized_matmul/quantize.cl"
};
static const unsigned char embedding_embedding[] = {
#embed "embedding/embedding.cl"
};
static const unsigned char embedding_embedding_backward[] = {
#embed "embedding/embedding_backward.cl"
};
static const unsigned char rms_norm_rms_norm[] = {
#embed "rms_norm/rms_norm.cl"
};
static const unsigned char rms_norm_rms_norm_backward[] = {
#embed "rms_norm/rms_norm_backward.cl"
};
static const unsigned char rotary_rotary[] = {
#embed "rotary/rotary.cl"
};
static const unsigned char swiglu_swiglu[] = {
#embed "swiglu/swiglu.cl"
};
static const unsigned char adamw_adamw[] = {
#embed "adamw/adamw.cl"
};
static const unsigned char elementwise_elementwise[] = {
#embed "elementwise/elementwise.cl"
};
static const unsigned char probe_inline_ptx[] = {
#embed "probe/inline_ptx.nvidia.cl"
};
static const unsigned char probe_mma[] = {
#embed "probe/mma.ampere.cl"
};
static const unsigned char probe_wgmma[] = {
#embed "probe/wgmma.hopper.cl"
};
static const unsigned char roof_memory[] = {
#embed "roof/memory.cl"
};
static const unsigned char roof_fma[] = {
#embed "roof/fma.cl"
};
static const unsigned char roof_dot[] = {
#embed "roof/dot.avx512bf16.cl"
};
static const unsigned char roof_mma[] = {
#embed "roof/mma.ampere.cl"
};
static const unsigned char roof_wgmma[] = {
#embed "roof/wgmma.hopper.cl"
};
static const unsigned char probe_zmm[] = {
#embed "probe/zmm.avx512.cl"
};
static const unsigned char probe_dot[] = {
#embed "probe/dot.avx512bf16.cl"
};
static const unsigned char probe_matrix[] = {
#embed "probe/matrix.amx.cl"
};

#define FILE_ENTRY(path, array) {path, array, sizeof array}

static const tilecl_kernel_file files[] = {
    FILE_ENTRY("common/storage.clh", common_storage),
    FILE_ENTRY("common/vectors.clh", common_vectors),
    FILE_ENTRY("common/output.clh", common_output),
    FILE_ENTRY("common/rows.clh", common_rows),
    FILE_ENTRY("attention/common.clh", attention_common),
    FILE_ENTRY("attention/scores.clh", attention_scores),
    FILE_ENTRY("attention/tiles.clh", attention_tiles),
    FILE_ENTRY("attention/vectors.clh", attention_vectors),
    FILE_ENTRY("attention/walk.clh", attention_walk),
    FILE_ENTRY("attention/attention.cl", attention_attention),
    FILE_ENTRY("attention/attention.vector.cl", attention_attention_vector),
    FILE_ENTRY("attention/attention.avx512bf16.cl", attention_attention_avx512bf16),
    FILE_ENTRY("attention/gradients.clh", attention_gradients),
    FILE_ENTRY("attention/attention_backward.cl", attention_attention_backward),
    FILE_ENTRY("attention/attention_backward.vector.cl", attention_attention_backward_vector),
    FILE_ENTRY("attention/attention_sums.cl", attention_attention_sums),
    FILE_ENTRY("attention/attention_merge.cl", attention_attention_merge),
    FILE_ENTRY("attention/attention.ampere.cl", attention_attention_ampere),
    FILE_ENTRY("attention/attention_decode.ampere.cl", attention_attention_decode_ampere),
    FILE_ENTRY("ampere/instructions.ampere.clh", ampere_instructions),
    FILE_ENTRY("ampere/products.ampere.clh", ampere_products),
    FILE_ENTRY("attention/attention.hopper.cl", attention_attention_hopper),
    FILE_ENTRY("attention/attention_backward.hopper.cl", attention_attention_backward_hopper),
    FILE_ENTRY("attention/gradient_rows.clh", attention_gradient_rows),
    FILE_ENTRY("attention/attention_backward.ampere.cl", attention_backward_ampere),
    FILE_ENTRY("attention/gradient_maps.hopper.clh", attention_gradient_maps_hopper),
    FILE_ENTRY("attention/gradients.hopper.clh", attention_gradients_hopper),
    FILE_ENTRY("attention/copies.hopper.clh", attention_copies_hopper),
    FILE_ENTRY("attention/maps.hopper.clh", attention_maps_hopper),
    FILE_ENTRY("attention/scores.hopper.clh", attention_scores_hopper),
    FILE_ENTRY("attention/tiles.hopper.clh", attention_tiles_hopper),
    FILE_ENTRY("hopper/instructions.hopper.clh", hopper_instructions),
    FILE_ENTRY("nvidia/tanh.nvidia.clh", nvidia_tanh),
    FILE_ENTRY("hopper/products.hopper.clh", hopper_products),
    FILE_ENTRY("x86/vectors.avx512.clh", x86_vectors),
    FILE_ENTRY("x86/dot.avx512bf16.clh", x86_dot),
    FILE_ENTRY("x86/operands.avx512bf16.clh", x86_operands),
    FILE_ENTRY("x86/tiles.amx.clh", x86_tiles),
    FILE_ENTRY("linear_cross_entropy/common.clh", linear_cross_entropy_common),
    FILE_ENTRY("linear_cross_entropy/tiles.clh", linear_cross_entropy_tiles),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy.cl", linear_cross_entropy_linear_cross_entropy),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_steps.cl", linear_cross_entropy_steps),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_lookup.cl", linear_cross_entropy_lookup),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_order.cl", linear_cross_entropy_order),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_backward.cl", linear_cross_entropy_backward),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_gradient_steps.cl", linear_cross_entropy_gradient_steps),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy.hopper.cl", cross_entropy_hopper),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy.ampere.cl", cross_entropy_ampere),
    FILE_ENTRY("linear_cross_entropy/gradient_lists.nvidia.clh", cross_entropy_gradient_lists),
    FILE_ENTRY("linear_cross_entropy/gradients.nvidia.clh", cross_entropy_gradients),
    FILE_ENTRY("linear_cross_entropy/logits.nvidia.clh", cross_entropy_logits_nvidia),
    FILE_ENTRY("linear_cross_entropy/statistics.nvidia.clh", cross_entropy_statistics_nvidia),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_backward.hopper.cl", cross_entropy_backward_hopper),
    FILE_ENTRY("linear_cross_entropy/linear_cross_entropy_backward.ampere.cl", cross_entropy_backward_ampere),
    FILE_ENTRY("linear_distillation/common.clh", linear_distillation_common),
    FILE_ENTRY("linear_distillation/linear_distillation.cl", linear_distillation_linear_distillation),
    FILE_ENTRY("linear_distillation/linear_distillation_backward.cl", linear_distillation_backward),
    FILE_ENTRY("matmul/matmul.ampere.cl", matmul_matmul_ampere),
    FILE_ENTRY("matmul/matmul.hopper.cl", matmul_matmul_hopper),
    FILE_ENTRY("matmul/tiles.clh", matmul_tiles),
    FILE_ENTRY("matmul/matmul_sum.cl", matmul_matmul_sum),
    FILE_ENTRY("matmul/matmul.cl", matmul_matmul),
    FILE_ENTRY("matmul/matmul_rows.cl", matmul_matmul_rows),
    FILE_ENTRY("matmul/pairs.avx512bf16.clh", matmul_pairs),
    FILE_ENTRY("matmul/matmul.vector.cl", matmul_matmul_vector),
    FILE_ENTRY("quantized_matmul/quantized_matmul.cl", quantized_matmul_quantized_matmul),
    FILE_ENTRY("quantized_matmul/quantize.cl", quantized_matmul_quantize),
    FILE_ENTRY("embedding/embedding.cl", embedding_embedding),
    FILE_ENTRY("embedding/embedding_backward.cl", embedding_embedding_backward),
    FILE_ENTRY("rms_norm/rms_norm.cl", rms_norm_rms_norm),
    FILE_ENTRY("rms_norm/rms_norm_backward.cl", rms_norm_rms_norm_backward),
    FILE_ENTRY("rotary/rotary.cl", rotary_rotary),
    FILE_ENTRY("swiglu/swiglu.cl", swiglu_swiglu),
    FILE_ENTRY("adamw/adamw.cl", adamw_adamw),
    FILE_ENTRY("elementwise/elementwise.cl", elementwise_elementwise),
    FILE_ENTRY("probe/inline_ptx.nvidia.cl", probe_inline_ptx),
    FILE_ENTRY("probe/mma.ampere.cl", probe_mma),
    FILE_ENTRY("probe/wgmma.hopper.cl", probe_wgmma),
    FILE_ENTRY("roof/memory.cl", roof_memory),
    FILE_ENTRY("roof/fma.cl", roof_fma),
    FILE_ENTRY("roof/dot.avx512bf16.cl", roof_dot),
    FILE_ENTRY("roof/mma.ampere.cl", roof_mma),
    FILE_ENTRY("roof/wgmma.hopper.cl", roof_wgmma),
    FILE_ENTRY("probe/zmm.avx512.cl", probe_zmm),
    FILE_ENTRY("probe/dot.avx512bf16.cl", probe_dot),
    FILE_ENTRY("probe/matrix.amx.cl", probe_matrix),
};

const tilecl_kernel_file *tilecl_kernel_files(size_t *count) {
  *count = sizeof files / sizeof files[0];
  return files;
}
