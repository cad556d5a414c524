troth-assembly 1
; image 9c769a7e4f4efe99f2be16802019576ec38c58ef745a3998d6310b16a96a8337
entry main

; protocol 5af79812215ac32231e98bfdd16504ddd80dd47a4662e8e94b10d9168b281d10
protocol P(A, B)
  type A
    0: B ! ping() -> 1
    1: end
    2: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
