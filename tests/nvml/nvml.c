/* A stand-in for libnvidia-ml.so.1 that reads what it shows from the text file named by DS01_TEST_NVML; where that is
 * not set, from the one named by -DSTANDIN_FILE='"PATH"', if it was compiled so.
 *
 * The file is read at every nvmlInit. One thing a line, words separated by spaces, KEY=VALUE without spaces; an
 * underscore in a name is a blank. A key that is missing means that the device does not support it.
 *
 *   driver 535.104.05 12020                                (the second: CUDA's version; may be missing)
 *   gpu name=NVIDIA_A100 uuid=GPU-... memory=BYTES used=BYTES reserved=BYTES mig=1 pending=1 ecc=0 remap=0 power=MILLIWATTS
 *       temperature=CELSIUS energy=MILLIJOULES utilisation=PERCENT memory_busy=PERCENT max=INSTANCES
 *       gpm=1 brand=NVML_BRAND_... capability=80           (on one line; in order of index)
 *   mig 0:2 uuid=MIG-... name=... memory=BYTES used=BYTES gi=1 ci=0 slices=2 compute=2 memory_mib=9856
 *       graphics=PERCENT sm=PERCENT                        (what GPM says of its GPU instance)
 *   process 0:2 pid=123 memory=BYTES type=compute          (or graphics, or mps; memory may be missing)
 *   error nvmlDeviceGetUUID 0 15                           (a function, a device or *, NVML's code; from then on)
 *   error nvmlGpmMigSampleGet 0:1 999 2                    (from the second call on)
 *
 * Structures and codes as in NVIDIA's nvml.h. Functions are left out by renaming them: -DnvmlX=standin_nvmlX.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef STANDIN_FILE
#define STANDIN_FILE NULL
#endif

typedef unsigned int uint;
typedef unsigned long long ull;
typedef struct device *nvmlDevice_t;

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       VERSION_MISMATCH = 25 };
enum { MOST = 128, WORD = 128 };

struct device {
    char name[16]; /* 0, or 0:2 */
    char line[1024];
    int gpu, place; /* place: the MIG index, -1 for a GPU */
};
struct process {
    char device[16];
    char line[256];
};
struct fault {
    char function[WORD];
    char device[16];
    int code, from, calls;
};

static struct device devices[MOST];
static struct process processes[MOST];
static struct fault faults[MOST];
static int device_count, gpu_count, process_count, fault_count, initialised;
static char driver[80];
static int cuda;

/* The value of KEY in a line, as text in a buffer of its own; NULL if it is not there. */
static const char *value(const char *line, const char *key) {
    static char found[WORD];
    size_t length = strlen(key);
    for (const char *at = line; (at = strstr(at, key)) != NULL; at += length) {
        if (at > line && at[-1] == ' ' && at[length] == '=') {
            sscanf(at + length + 1, "%127s", found);
            return found;
        }
    }
    return NULL;
}

static int number(const char *line, const char *key, ull *into) {
    const char *text = value(line, key);
    if (text == NULL)
        return NOT_SUPPORTED;
    *into = strtoull(text, NULL, 10);
    return SUCCESS;
}

static int text(const char *line, const char *key, char *into, uint length) {
    const char *found = value(line, key);
    if (found == NULL)
        return NOT_SUPPORTED;
    snprintf(into, length, "%s", found);
    return SUCCESS;
}

static int fault(const char *function, const char *device) {
    for (int i = 0; i < fault_count; i++)
        if (strcmp(faults[i].function, function) == 0 &&
            (strcmp(faults[i].device, "*") == 0 || strcmp(faults[i].device, device) == 0) &&
            ++faults[i].calls >= faults[i].from)
            return faults[i].code;
    return SUCCESS;
}

static int read_file(void) {
    const char *named = getenv("DS01_TEST_NVML"), *path = named ? named : STANDIN_FILE;
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024], kind[16];
    device_count = gpu_count = process_count = fault_count = 0;
    snprintf(driver, sizeof driver, "535.104.05");
    cuda = 0;
    if (file == NULL)
        return UNINITIALIZED;
    while (fgets(line, sizeof line, file) != NULL) {
        struct device *device = &devices[device_count];
        if (device_count == MOST || process_count == MOST || fault_count == MOST)
            break;
        if (sscanf(line, "%15s", kind) != 1)
            continue;
        if (strcmp(kind, "driver") == 0) {
            sscanf(line, "driver %79s %d", driver, &cuda);
        } else if (strcmp(kind, "gpu") == 0) {
            snprintf(device->name, sizeof device->name, "%d", gpu_count);
            strcpy(device->line, line);
            device->gpu = gpu_count++;
            device->place = -1;
            device_count++;
        } else if (strcmp(kind, "mig") == 0) {
            sscanf(line, "mig %15s", device->name);
            sscanf(device->name, "%d:%d", &device->gpu, &device->place);
            strcpy(device->line, line);
            device_count++;
        } else if (strcmp(kind, "process") == 0) {
            struct process *process = &processes[process_count++];
            sscanf(line, "process %15s", process->device);
            snprintf(process->line, sizeof process->line, "%s", line);
        } else if (strcmp(kind, "error") == 0) {
            struct fault *it = &faults[fault_count++];
            it->from = it->calls = 0;
            sscanf(line, "error %127s %15s %d %d", it->function, it->device, &it->code, &it->from);
        }
    }
    fclose(file);
    return SUCCESS;
}

/* Every function of a device begins so: not before Init, and the fault that the file asks for. */
#define BEGIN(device)                                   \
    do {                                                \
        int wrong = fault(__func__, (device));          \
        if (!initialised)                               \
            return UNINITIALIZED;                       \
        if (wrong != SUCCESS)                           \
            return wrong;                               \
    } while (0)

int nvmlInitWithFlags(uint flags) {
    int result = read_file();
    (void)flags;
    if (result == SUCCESS)
        result = fault(__func__, "*");
    if (result == SUCCESS)
        initialised++;
    return result;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    if (!initialised)
        return UNINITIALIZED;
    initialised--;
    return SUCCESS;
}

/* Not NVML's: how many Inits have no Shutdown yet, for a test. */
int standin_open(void) { return initialised; }

const char *nvmlErrorString(int code) {
    (void)code;
    return "an error of the stand-in";
}

int nvmlSystemGetDriverVersion(char *version, uint length) {
    BEGIN("*");
    snprintf(version, length, "%s", driver);
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(uint *count) {
    BEGIN("*");
    *count = (uint)gpu_count;
    return SUCCESS;
}

static int find(int gpu, int place, nvmlDevice_t *device) {
    for (int i = 0; i < device_count; i++)
        if (devices[i].gpu == gpu && devices[i].place == place) {
            *device = &devices[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetHandleByIndex_v2(uint index, nvmlDevice_t *device) {
    char name[16];
    snprintf(name, sizeof name, "%u", index);
    BEGIN(name);
    return (int)index < gpu_count ? find((int)index, -1, device) : INVALID;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    BEGIN("*");
    for (int i = 0; i < device_count; i++) {
        const char *its = value(devices[i].line, "uuid");
        if (its != NULL && strcmp(its, uuid) == 0) {
            *device = &devices[i];
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetIndex(nvmlDevice_t device, uint *index) {
    BEGIN(device->name);
    *index = (uint)(device->place < 0 ? device->gpu : device->place);
    return SUCCESS;
}

int nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, uint length) {
    BEGIN(device->name);
    return text(device->line, "uuid", uuid, length);
}

int nvmlDeviceGetName(nvmlDevice_t device, char *name, uint length) {
    BEGIN(device->name);
    int result = text(device->line, "name", name, length);
    for (char *at = name; result == SUCCESS && *at; at++)
        if (*at == '_')
            *at = ' ';
    return result;
}

struct memory {
    ull total, free, used;
};

int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, struct memory *memory) {
    BEGIN(device->name);
    ull reserved = 0;
    memory->used = 0;
    number(device->line, "used", &memory->used);
    number(device->line, "reserved", &reserved);
    memory->used += reserved;
    int result = number(device->line, "memory", &memory->total);
    memory->free = memory->total - memory->used;
    return result;
}

struct memory_v2 {
    uint version;
    ull total, reserved, free, used;
};

/* As the real one: what the driver reserves is no use. The first version counts it as used. */
int nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, struct memory_v2 *memory) {
    BEGIN(device->name);
    if (memory->version != (sizeof *memory | 2 << 24))
        return VERSION_MISMATCH;
    memory->used = memory->reserved = 0;
    number(device->line, "used", &memory->used);
    number(device->line, "reserved", &memory->reserved);
    int result = number(device->line, "memory", &memory->total);
    memory->free = memory->total - memory->used - memory->reserved;
    return result;
}

int nvmlDeviceGetMigMode(nvmlDevice_t device, uint *now, uint *pending) {
    ull mode;
    BEGIN(device->name);
    if (number(device->line, "mig", &mode) != SUCCESS)
        return NOT_SUPPORTED;
    *now = *pending = (uint)mode;
    if (number(device->line, "pending", &mode) == SUCCESS)
        *pending = (uint)mode;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, uint *count) {
    ull most = 7;
    BEGIN(device->name);
    number(device->line, "max", &most);
    *count = (uint)most;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, uint index, nvmlDevice_t *instance) {
    BEGIN(device->name);
    return find(device->gpu, (int)index, instance);
}

int nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, uint *is) {
    BEGIN(device->name);
    *is = device->place >= 0;
    return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t instance, nvmlDevice_t *device) {
    BEGIN(instance->name);
    return find(instance->gpu, -1, device);
}

static int small_number(nvmlDevice_t device, const char *key, uint *into) {
    ull found;
    int result = number(device->line, key, &found);
    if (result == SUCCESS)
        *into = (uint)found;
    return result;
}

int nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, uint *id) {
    BEGIN(device->name);
    return small_number(device, "gi", id);
}

int nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, uint *id) {
    BEGIN(device->name);
    return small_number(device, "ci", id);
}

struct attributes {
    uint multiprocessors, copy, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
    ull memory_mib;
};

int nvmlDeviceGetAttributes_v2(nvmlDevice_t device, struct attributes *attributes) {
    BEGIN(device->name);
    memset(attributes, 0, sizeof *attributes);
    if (small_number(device, "slices", &attributes->gpu_slices) != SUCCESS)
        return NOT_SUPPORTED;
    attributes->compute_slices = attributes->gpu_slices;
    small_number(device, "compute", &attributes->compute_slices);
    number(device->line, "memory_mib", &attributes->memory_mib);
    return SUCCESS;
}

struct utilisation {
    uint gpu, memory;
};

int nvmlDeviceGetUtilizationRates(nvmlDevice_t device, struct utilisation *rates) {
    BEGIN(device->name);
    rates->memory = 0;
    small_number(device, "memory_busy", &rates->memory);
    return small_number(device, "utilisation", &rates->gpu);
}

int nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, uint *celsius) {
    BEGIN(device->name);
    return sensor == 0 ? small_number(device, "temperature", celsius) : INVALID;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    BEGIN("*");
    *version = cuda;
    return cuda ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetBrand(nvmlDevice_t device, uint *brand) {
    BEGIN(device->name);
    return small_number(device, "brand", brand);
}

int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    uint number;
    BEGIN(device->name);
    int code = small_number(device, "capability", &number);
    if (code == SUCCESS) {
        *major = (int)(number / 10);
        *minor = (int)(number % 10);
    }
    return code;
}

int nvmlDeviceGetPowerUsage(nvmlDevice_t device, uint *milliwatts) {
    BEGIN(device->name);
    return small_number(device, "power", milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, ull *millijoules) {
    BEGIN(device->name);
    return number(device->line, "energy", millijoules);
}

/* Uncorrected (1) and volatile (0) only: what a health check must not ask for is not there. */
int nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int type, int counter, ull *count) {
    BEGIN(device->name);
    return type == 1 && counter == 0 ? number(device->line, "ecc", count) : INVALID;
}

int nvmlDeviceGetRemappedRows(nvmlDevice_t device, uint *corrected, uint *uncorrected, uint *pending, uint *failed) {
    BEGIN(device->name);
    *corrected = *uncorrected = *pending = 0;
    return small_number(device, "remap", failed);
}

struct process_info {
    uint pid;
    ull memory;
    uint gpu_instance, compute_instance;
};

/* As the real one: without room for all, it says how many there are. */
static int list(nvmlDevice_t device, const char *type, uint *count, struct process_info *infos) {
    uint room = infos == NULL ? 0 : *count, found = 0;
    for (int i = 0; i < process_count; i++) {
        const char *its = value(processes[i].line, "type");
        if (strcmp(processes[i].device, device->name) != 0 || strcmp(its ? its : "compute", type) != 0)
            continue;
        if (found < room) {
            ull pid = 0;
            infos[found].memory = ~0ULL; /* not available */
            number(processes[i].line, "memory", &infos[found].memory);
            number(processes[i].line, "pid", &pid);
            infos[found].pid = (uint)pid;
            infos[found].gpu_instance = infos[found].compute_instance = ~0U;
        }
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, uint *count, struct process_info *infos) {
    BEGIN(device->name);
    return list(device, "compute", count, infos);
}

int nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, uint *count, struct process_info *infos) {
    BEGIN(device->name);
    return list(device, "compute", count, infos);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, uint *count, struct process_info *infos) {
    BEGIN(device->name);
    return device->place >= 0 ? NOT_SUPPORTED : list(device, "graphics", count, infos);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, uint *count, struct process_info *infos) {
    BEGIN(device->name);
    return list(device, "mps", count, infos);
}

/* GPM. A sample knows when it was taken, so that two in the wrong order are noticed, as are those of two instances. */

struct sample {
    nvmlDevice_t instance;
    int taken;
};
static int samples_taken, samples_alive;

struct support {
    uint version, supported;
};

struct metric {
    uint id;
    int result;
    double value;
    const char *short_name, *long_name, *unit;
};

struct question {
    uint version, count;
    struct sample *before, *after;
    struct metric metrics[];
};

/* Not NVML's: how many samples were taken, and how many are not freed, for a test. */
int standin_samples_taken(void) { return samples_taken; }
int standin_samples_alive(void) { return samples_alive; }

int nvmlGpmQueryDeviceSupport(nvmlDevice_t device, struct support *support) {
    BEGIN(device->name);
    support->supported = 0;
    if (support->version != 1)
        return INVALID;
    small_number(device, "gpm", &support->supported);
    return SUCCESS;
}

int nvmlGpmSampleAlloc(struct sample **sample) {
    BEGIN("*");
    *sample = calloc(1, sizeof **sample);
    samples_alive++;
    return SUCCESS;
}

int nvmlGpmSampleFree(struct sample *sample) {
    BEGIN("*");
    free(sample);
    samples_alive--;
    return SUCCESS;
}

/* Of the GPU itself, which cannot be sampled while MIG is on. */
int nvmlGpmSampleGet(nvmlDevice_t device, struct sample *sample) {
    BEGIN(device->name);
    (void)sample;
    return NOT_SUPPORTED;
}

int nvmlGpmMigSampleGet(nvmlDevice_t device, uint gpu_instance, struct sample *sample) {
    ull supported = 0;
    BEGIN(device->name);
    number(device->line, "gpm", &supported);
    if (device->place >= 0 || !supported)
        return NOT_SUPPORTED;
    for (int i = 0; i < device_count; i++) {
        uint gi;
        if (devices[i].gpu != device->gpu || small_number(&devices[i], "gi", &gi) != SUCCESS || gi != gpu_instance)
            continue;
        BEGIN(devices[i].name);
        sample->instance = &devices[i];
        sample->taken = ++samples_taken;
        return SUCCESS;
    }
    return NOT_FOUND;
}

int nvmlGpmMetricsGet(struct question *question) {
    struct sample *before = question->before, *after = question->after;
    if (question->version != 1 || before == NULL || after == NULL)
        return INVALID;
    if (before->instance != after->instance || !before->taken || before->taken >= after->taken)
        return INVALID;
    BEGIN(before->instance->name);
    for (uint i = 0; i < question->count; i++) {
        struct metric *metric = &question->metrics[i];
        const char *text = metric->id == 1   ? value(before->instance->line, "graphics")
                           : metric->id == 2 ? value(before->instance->line, "sm")
                                             : NULL;
        metric->result = text ? SUCCESS : NOT_SUPPORTED;
        metric->value = text ? strtod(text, NULL) : 0;
    }
    return SUCCESS;
}
