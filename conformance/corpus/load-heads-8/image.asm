troth-assembly 1
; image 5150ba3b6726daa3c2c6180c46fc6c5f4f72713efb31ac357844af444c41dc9b
entry main

effect price(f0: str) -> int
effect price(f0: str) -> int

program main() registers 8
    halt
