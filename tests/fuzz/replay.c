/* Runs the inputs it is given, without libFuzzer and sanitizers: the results, refusals and gaps of the corpus are looked at
 * wherever the library is. Compiled with all C files of this folder but threads.c.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **names) {
    static uint8_t bytes[4096];
    for (int i = 1; i < count; ++i) {
        FILE *file = fopen(names[i], "rb");
        if (!file)
            return 1;
        const size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    printf("%d inputs\n", count - 1);
    return 0;
}
