/* Vector table and reset code for every Cortex-M. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

extern uint32_t et_data_load[], et_data_begin[], et_data_end[], et_bss_begin[], et_bss_end[];
extern uint32_t et_stack_bottom[], et_stack_top[];

int main(void);
void et_reset(void);

static void et_halt(void) {
    for (;;) {
    }
}

/* Any fault: the stack may be what is broken, so that it begins anew. */
__attribute__((naked)) static void et_fault(void) {
    __asm__ volatile("ldr r0, =et_stack_top\n mov sp, r0\n bl et_link_fault\n 1: b 1b\n .ltorg");
}

typedef struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} et_vectors_t;

/* No interrupt is ever taken; the fifteen system exceptions are all that can come. */
__attribute__((section(".vectors"), used)) static const et_vectors_t et_vectors = {
    et_stack_top,
    {et_reset, et_fault, et_fault, et_fault, et_fault, et_fault, et_fault, et_fault, et_fault, et_fault, et_fault,
     et_fault, et_fault, et_fault, et_fault},
};

uint32_t *et_stack_low(void) { return et_stack_bottom; }

__attribute__((naked)) uint32_t *et_stack_pointer(void) {
    __asm__ volatile("mov r0, sp\n bx lr");
}

void et_wait_init(void) {
    __asm__ volatile("cpsid i"); /* a pending interrupt wakes the core and is not taken */
#if defined(ET_UART_IRQ)
    ((volatile uint32_t *)0xE000E100u)[ET_UART_IRQ / 32u] = 1u << (ET_UART_IRQ % 32u); /* NVIC_ISER */
#endif
}

void et_wait(void) {
#if defined(ET_UART_IRQ)
    __asm__ volatile("wfi");
    ((volatile uint32_t *)0xE000E280u)[ET_UART_IRQ / 32u] = 1u << (ET_UART_IRQ % 32u); /* NVIC_ICPR */
#endif
}

void et_reset(void) {
#if defined(__ARM_FP)
    /* CPACR: full access to CP10 and CP11, which are the FPU (and MVE). */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
#if defined(__ARM_FEATURE_MVE)
    /* FPSCR.LTPSIZE = 4: no tail predication.  Any other value silently predicates vector instructions. */
    __asm__ volatile("vmsr fpscr, %0" ::"r"(4u << 16));
#endif
    const uint32_t *from = et_data_load;
    for (uint32_t *to = et_data_begin; to < et_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = et_bss_begin; to < et_bss_end; to++) {
        *to = 0;
    }
    (void)main();
    et_halt();
}
