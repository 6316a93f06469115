/* What the ops compute, as plain loops in double over dense arrays. */
#ifndef NAIVE_H
#define NAIVE_H

#include "fastconv.h"

/* N, C, D, H, W without gaps. */
typedef struct dense {
    int64_t size[FC_AXES];
    double *at;
} dense;

/* A sum of products, that of their absolute values, and their number: what a bound of the error is made of. */
typedef struct sum {
    double value, magnitude, terms;
} sum;

/* Windows of pooling, sliding or adaptive. */
typedef struct windows {
    int adaptive;
    const fc_pool_params *params;
    const int64_t *in, *out;
} windows;

int64_t elements_of(const int64_t size[FC_AXES]);
/* The product of the spatial sizes. */
int64_t plane_of(const int64_t spatial[FC_SPATIAL]);

/* One of three arrays is written, by products of the other two. */
void naive_conv(const dense *x, const dense *w, const dense *y, const fc_conv_params *params, fc_conv_pass pass,
                sum *result);
/* Adds channel c of `bias` to every element of that channel. */
void naive_add_bias(const int64_t size[FC_AXES], const double *bias, sum *result);
void naive_activate(int64_t count, fc_activation activation, double slope, sum *result);
void naive_grad_bias(const dense *y, sum *result);

/* `back`: x is written, by adding elements of the columns y. */
void naive_patches(const dense *x, const dense *y, const int64_t kernel[FC_SPATIAL], const fc_conv_params *params,
                   int back, sum *result);

/* 0 where a window holds no element. */
int naive_max_pool(const dense *x, const dense *y, const windows *windows, sum *result, sum *indices);
/* Adds each element of y to the element of its plane that `indices` says. */
void naive_max_pool_backward(const dense *x, const dense *y, const double *indices, sum *result);
/* `back`: x is written. */
void naive_avg_pool(const dense *x, const dense *y, const windows *windows, int back, sum *result);

void naive_channel_max_pool(const dense *x, const dense *y, sum *result, sum *indices);
void naive_channel_max_pool_backward(const dense *x, const dense *y, const double *indices, sum *result);
void naive_lrn(const dense *x, const fc_lrn_params *params, sum *result);
void naive_lrn_backward(const dense *g, const dense *x, const fc_lrn_params *params, sum *result);

/* The position that a padded one repeats, -1 for the constant. */
int64_t naive_pad_source(fc_pad_mode mode, int64_t position, int64_t size);
/* `back`: x is written. */
void naive_pad(const dense *x, const dense *y, const int64_t before[FC_SPATIAL], fc_pad_mode mode, double value,
               int back, sum *result);

#endif
