troth-assembly 1
; image 521659f210767142b8a6d1ab759064c7e8a83798976ebb78dc3490aae14e4ed7
entry main

program main() registers 8
    halt

program needs(f0: int) registers 8
    halt
