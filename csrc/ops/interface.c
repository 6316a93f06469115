/* The edge of the library: versions, statuses in words, and structs of callers compiled with another header.
 *
 * Fields are only ever added at the end, and 0 in them stands for what was before them: so a struct that is shorter than
 * ours is filled up with 0, and one that is longer is as good as ours where the rest of it is 0. That is how Linux extends
 * the structs of its system calls (clone3, openat2).
 */
#include "ops/interface.h"

#include <string.h>

/* No struct comes near; what is larger was never set. */
enum { MOST_BYTES = 4096 };

const char *fc_version_string(void) { return FC_VERSION_STRING; }

int fc_abi_version(void) { return FC_ABI_VERSION; }

const char *fc_status_string(fc_status status) {
    static const char *const TEXT[] = {
        [FC_OK] = "ok",
        [FC_OUT_OF_MEMORY] = "out of memory",
        [FC_BAD_ARGUMENT] = "a null pointer, an unknown dtype, algorithm, pass or mode, or weights packed for a policy",
        [FC_BAD_STRIDE] = "stride must be at least 1",
        [FC_BAD_DILATION] = "dilation must be at least 1, and in average pooling no more",
        [FC_BAD_PADDING] = "padding must not be negative, and in pooling smaller than the dilated window",
        [FC_BAD_KERNEL] = "kernel size must be at least 1",
        [FC_BAD_GROUPS] = "groups must be at least 1 and divide input and output channels",
        [FC_BAD_CHANNELS] = "channels of input, weight and output do not belong together",
        [FC_BAD_BATCH] = "batch sizes differ",
        [FC_EMPTY_INPUT] = "no channels or an empty spatial axis",
        [FC_KERNEL_TOO_LARGE] = "the dilated kernel exceeds the padded input",
        [FC_BAD_OUTPUT_SIZE] = "output sizes do not follow from the geometry",
        [FC_BAD_INDEX] = "an index outside of its plane",
        [FC_EMPTY_WINDOW] = "a pooling window without any input element",
        [FC_BAD_OUTPUT_PADDING] = "output padding must not be negative, and smaller than stride or dilation",
        [FC_EMPTY_OUTPUT] = "the padding takes away all of the output",
        [FC_OVERFLOW] = "a size leaves the range of 64-bit offsets",
        [FC_UNSUPPORTED] = "not supported by the algorithm or instruction set asked for",
        [FC_BAD_STRUCT] = "struct_size is not the size of a struct, or fields are set that this library does not know",
    };
    return (unsigned)status < sizeof TEXT / sizeof TEXT[0] ? TEXT[status] : "unknown status";
}

static int is_size(size_t bytes) { return bytes >= sizeof(size_t) && bytes <= MOST_BYTES; }

static size_t size_of(const void *theirs) { return *(const size_t *)theirs; }

fc_status fc_adopt(void *ours, size_t size, const void *theirs) {
    const size_t given = size_of(theirs), shared = given < size ? given : size;
    if (!is_size(given))
        return FC_BAD_STRUCT;
    for (size_t i = size; i < given; ++i)
        if (((const char *)theirs)[i])
            return FC_BAD_STRUCT;
    memset(ours, 0, size);
    memcpy(ours, theirs, shared);
    *(size_t *)ours = size;
    return FC_OK;
}

fc_status fc_hand_over(void *theirs, const void *ours, size_t size) {
    const size_t given = size_of(theirs), shared = given < size ? given : size;
    if (!is_size(given))
        return FC_BAD_STRUCT;
    memset(theirs, 0, given);
    memcpy(theirs, ours, shared);
    *(size_t *)theirs = given;
    return FC_OK;
}
