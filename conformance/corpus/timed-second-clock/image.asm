troth-assembly 1

protocol T(A, B)
  type A
    0: B within 5000000: timeout() -> 1
     | within() -> 2
    1: B ! late() -> 3
    2: B ! yes() -> 3
    3: end
  type B
    0: A ? late() -> 1
     | yes() -> 1
    1: end

program host(s: T.A, t: T.A) registers 2
    timer r0 L4
    timer r1 L4
    send r0 B!yes()
    halt
L4:
    send r0 B!late()
    halt
