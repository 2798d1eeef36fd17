/* STM32F4 on its 16 MHz oscillator, USART2 on PA2 and PA3, TIM2 running. */
#include <stdint.h>

#include "et_drivers.h"

#define RCC(offset) (*(volatile uint32_t *)(0x40023800u + (offset)))
#define GPIOA(offset) (*(volatile uint32_t *)(0x40020000u + (offset)))

void et_board_init(void) {
    RCC(0x30u) |= 1u;                                         /* AHB1: port A */
    RCC(0x40u) |= (1u << 17) | 1u;                            /* APB1: USART2 and TIM2 */
    (void)RCC(0x40u);                                         /* a clock takes two cycles to arrive */
    GPIOA(0x20u) = (GPIOA(0x20u) & ~0xFF00u) | 0x7700u;       /* alternate function 7 */
    GPIOA(0x00u) = (GPIOA(0x00u) & ~(0xFu << 4)) | (0xAu << 4); /* alternate mode */
}
