troth-assembly 1
; image bd1d767d1fbe4f1d942cc486c196202e013ed81899d67911cbc10422ad13cee4
entry main

; protocol bfb5da510a1154cf1c51795c25d0e9703531d5d9757861fbf0dc7b061faaca35
protocol P(A, B)
  type A
    0: B ! ping() -> 1
    1: end
  type B
    0: end

program main() registers 8
    halt
