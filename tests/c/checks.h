/* The rooms of the check: each runs its own table of cases with the options it is given, then its refusals. */
#ifndef CHECKS_H
#define CHECKS_H

#include "arrays.h"

/* Tells failures which case of which table runs. */
void at_case(const char *table, size_t number);

void check_conv(element type, layout order, const fc_options *options);
void check_pool(element type, layout order, const fc_options *options);
void check_channels(element type, layout order, const fc_options *options);
void check_patches(element type, layout order, const fc_options *options);

void check_modes(const fc_options *options);

void refuse_conv(const fc_options *options);
void refuse_pool(const fc_options *options);
void refuse_channels(const fc_options *options);
void refuse_patches(const fc_options *options);
void refuse_callers(const fc_options *options);
void refuse_hostile(const fc_options *options);

#endif
