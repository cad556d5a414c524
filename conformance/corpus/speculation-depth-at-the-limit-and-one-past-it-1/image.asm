troth-assembly 1
; image 31e38a3290c5d1dced1dba06cdcdf2ccab13e5998168e853a085ddd608844525
entry main

program main() registers 8
L0:
    fork L0
    fork L0
    fork L0
    join
    join
    join
    halt
