/* Reset code for RISC-V: stack, trap vector, FPU and vectors, data and bss, then main. */
    .section .vectors, "ax"
    .globl et_reset
et_reset:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, et_stack_top
    la t0, et_fault
    csrw mtvec, t0
#if defined(__riscv_flen)
    li t0, 0x6000 /* mstatus.FS */
    csrs mstatus, t0
    csrw fcsr, zero /* round to nearest, ties to even */
#endif
#if defined(__riscv_vector)
    li t0, 0x600 /* mstatus.VS */
    csrs mstatus, t0
#endif
    la t0, et_data_load
    la t1, et_data_begin
    la t2, et_data_end
    bgeu t1, t2, 2f
1:  lw t3, 0(t0)
    sw t3, 0(t1)
    addi t0, t0, 4
    addi t1, t1, 4
    bltu t1, t2, 1b
2:  la t1, et_bss_begin
    la t2, et_bss_end
    bgeu t1, t2, 4f
3:  sw zero, 0(t1)
    addi t1, t1, 4
    bltu t1, t2, 3b
4:  call main
5:  j 5b

    /* Any trap: the stack may be what is broken, so that it begins anew. */
    .balign 4
et_fault:
    la sp, et_stack_top
    call et_link_fault
6:  j 6b

    .text
    .globl et_stack_pointer
et_stack_pointer:
    mv a0, sp
    ret
