troth-assembly 1
; image 36e0ff7a0901eca0d31e64f3261c9aade45aa82079e63fcd9f52b350b1df8b9a
entry main

program main() registers 8
    join
    halt
