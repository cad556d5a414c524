troth-assembly 1
; image 21df1848d9ae89c884325eeeb9c6b49d0fae062a7f45ccc2074d54594a5e71f7

program main() registers 8
    halt
