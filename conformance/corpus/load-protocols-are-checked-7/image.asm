troth-assembly 1
; image 9ec99cf179d321798dc3cc791357068280516163b4b5a57207791f13ca5c4e07
entry main

; protocol 564e9b1d1ab2e8d0307ea7225f148e52180195c1285227e874d6bf816b9cf718
protocol P(A, B)
  type A
    0: B ! b() -> 1
     | a() -> 1
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
