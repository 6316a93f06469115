/* Every op of the C interface on every usable instruction set, against plain loops in double.
 *
 * Inputs are small multiples of 1/4, so that every sum of products is exact in float and order does not matter:
 * convolutions, copies and maxima must agree to the last bit; averages and norms round and may differ by that. Arrays
 * lie between guard bytes, channels first, last, or spread out and backwards. Needs nothing but the C library, so that
 * it also runs cross-compiled under an emulator: compiled with all C files of this folder. Exits 1 at the first case
 * that differs.
 */
#include "checks.h"

#include <stdio.h>

static char setting[128];

void at_case(const char *table, size_t number) {
    snprintf(where, sizeof where, "%s, %s case %d", setting, table, (int)number);
}

int main(void) {
    static const char *const types[] = {"float32", "float64"};
    static const char *const orders[] = {"channels first", "channels last", "spread"};
    static void (*const rooms[])(element, layout, const fc_options *) = {check_conv, check_pool, check_channels,
                                                                         check_patches};
    static void (*const refusals[])(const fc_options *) = {refuse_conv,    refuse_pool,    refuse_channels,
                                                           refuse_patches, refuse_callers, refuse_hostile};
    if (fc_abi_version() != FC_ABI_VERSION)
        fail("the library has another ABI than the header");
    fc_options options;
    fc_options_init(&options);
    options.threads = 3; /* which small cases do not wake */
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; ++i) {
        at_case("refusals", i);
        refusals[i](&options);
    }
    for (options.isa = 0; options.isa < fc_isa_count(); ++options.isa) {
        const char *isa = fc_isa_name(options.isa);
        if (!fc_isa_usable(options.isa)) {
            printf("%-10s skipped: this CPU lacks it\n", isa);
            continue;
        }
        const long before = checks;
        snprintf(setting, sizeof setting, "%s", isa);
        at_case("modes", 0);
        check_modes(&options);
        for (element type = FLOAT32; type <= FLOAT64; ++type)
            for (layout order = CHANNELS_FIRST; order < LAYOUTS; ++order) {
                snprintf(setting, sizeof setting, "%s, %s, %s", isa, types[type], orders[order]);
                for (size_t i = 0; i < sizeof rooms / sizeof *rooms; ++i)
                    rooms[i](type, order, &options);
            }
        printf("%-10s %ld checks\n", isa, checks - before);
    }
    fc_clear_scratch();
    printf("all %ld checks passed\n", checks);
    return 0;
}
