/* The lines that one image makes move, for the model of costs: of the input those that some tap meets, of the output all.
 *
 * They come from L3 or from memory if input and output are larger than the cache before it, the more of them the larger
 * these are. Sizes of caches are those of the cores that the constants were fitted on (1 MiB of L2, some 16 MiB of L3 for
 * one core); others differ by a factor of two, about as much as a line's way differs with what is fetched ahead.
 */
#include "algorithms/cost.h"

enum { NEAR = 700000 }; /* bytes that L2 holds, all of them */

/* Along an axis, elements that some tap meets. */
static double read_along(const fc_problem *p, int axis) {
    int64_t divisor = p->stride[axis], rest = p->dilation[axis] % p->stride[axis];
    while (rest) {
        const int64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    const int64_t residues = fc_min(p->stride[axis] / divisor, p->kernel[axis]);
    return (double)p->in_size[axis] * (double)residues / (double)p->stride[axis];
}

static double lines_of(const fc_problem *p, const fc_image *image, double pixels, int64_t channels, int by_groups) {
    double lines = (double)channels * (double)p->kernels->itemsize / 64;
    if (by_groups && p->groups > 1 && fc_channels_last(p, image) && lines < 1)
        lines = 1;
    return (double)p->groups * pixels * lines;
}

/* The share of `bytes` for which a cache, which is full between these sizes, has no room. */
static double share_beyond(double bytes, double fits, double full) {
    return bytes <= fits ? 0 : bytes >= full ? 1 : (bytes - fits) / (full - fits);
}

fc_traffic fc_traffic_of(const fc_problem *p, int by_groups) {
    const double item = (double)p->kernels->itemsize, pixels = (double)fc_positions(p);
    const double inputs = (double)p->groups * (double)p->in_channels,
                 outputs = (double)p->groups * (double)p->out_channels;
    const double in_pixels = (double)p->in_size[0] * (double)p->in_size[1] * (double)p->in_size[2];
    const double bytes = (inputs * in_pixels + outputs * pixels) * item;
    if (bytes <= NEAR) /* this runs in every call */
        return (fc_traffic){0};
    const int lines_apart = fc_channels_last(p, &p->x) && inputs * item >= 64; /* from pixel to pixel */
    const double read = read_along(p, 0) * read_along(p, 1) * (lines_apart ? read_along(p, 2) : (double)p->in_size[2]);
    return (fc_traffic){
        .read = lines_of(p, &p->x, read, p->in_channels, by_groups),
        .stored = lines_of(p, &p->y, pixels, p->out_channels, by_groups),
        .beyond_l2 = share_beyond(bytes, NEAR, 2e6),
        .beyond_l3 = share_beyond(bytes, 14e6, 40e6),
    };
}

double fc_traffic_cost(const fc_traffic *traffic) {
    return traffic->beyond_l2 * (FC_COST_READ_L3 * traffic->read + FC_COST_STORE_L3 * traffic->stored) +
           traffic->beyond_l3 * (FC_COST_READ_MEMORY * traffic->read + FC_COST_STORE_MEMORY * traffic->stored);
}
