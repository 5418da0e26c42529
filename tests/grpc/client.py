"""Calls each function over gRPC, as a client that was generated from the published contract.

Usage: client.py <folder of the contract> <host:port of the gateway>, with the admin's e-mail and
password as two lines on standard input. Prints a line per call; a call that does not answer as the
contract says ends it with status 1.
"""

import importlib
import pathlib
import sys
import tempfile

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc

DEADLINE_S = 60  # A cold start on a busy machine; no call comes near it.


def generate(contract, out, names):
    """Turns the contract into modules, and imports them."""
    files = [str(contract / f"{name}.proto") for name in names]
    arguments = ["protoc", f"-I{contract}", f"--python_out={out}", f"--grpc_python_out={out}"]
    if protoc.main(arguments + files) != 0:
        sys.exit("the contract cannot be generated")
    sys.path.insert(0, str(out))
    kinds = ("pb2", "pb2_grpc")
    return [importlib.import_module(f"{name}_{kind}") for name in names for kind in kinds]


def expect(condition, what):
    if not condition:
        sys.exit(f"not as the contract says: {what}")


def fails(code, call, request, metadata=None):
    """Calls, and expects a status."""
    try:
        response = call(request, timeout=DEADLINE_S, metadata=metadata)
    except grpc.RpcError as error:
        expect(error.code() == code, f"{error.code()} instead of {code}: {error.details()}")
        return error
    return expect(False, f"{response} instead of {code}")


def call(method, request, metadata=None):
    """Calls, and says so."""
    response = method(request, timeout=DEADLINE_S, metadata=metadata)
    print(type(request).__name__, flush=True)
    return response


def accounts_and_products(channel, modules, admin_email, admin_password):
    user, user_grpc, product, product_grpc = modules[:4]
    users = user_grpc.UserServiceStub(channel)
    products = product_grpc.ProductServiceStub(channel)

    sign_up = user.CreateUserRequest(
        email="Grace@example.com", name="Grace", password="a long password"
    )
    created = call(users.CreateUser, sign_up)
    expect(created.user.id and created.user.email == "Grace@example.com", created)
    sign_up.email = "grace@EXAMPLE.com"
    fails(grpc.StatusCode.ALREADY_EXISTS, users.CreateUser, sign_up)

    wrong = user.AuthRequest(email="grace@example.com", password="not that one")
    refused = call(users.AuthenticateUser, wrong)
    expect(not refused.success and not refused.token, refused)
    signed_in = call(
        users.AuthenticateUser,
        user.AuthRequest(email="grace@example.com", password="a long password"),
    )
    expect(signed_in.success and signed_in.user == created.user, signed_in)
    grace = (("authorization", f"Bearer {signed_in.token}"),)
    signed_in = call(
        users.AuthenticateUser, user.AuthRequest(email=admin_email, password=admin_password)
    )
    expect(signed_in.success, signed_in)
    admin = (("authorization", f"Bearer {signed_in.token}"),)

    whom = user.GetUserRequest(id=created.user.id)
    expect(call(users.GetUser, whom, grace).user == created.user, "the user as created")
    fails(grpc.StatusCode.UNAUTHENTICATED, users.GetUser, whom)
    whom.id = "nobody"
    fails(grpc.StatusCode.INVALID_ARGUMENT, users.GetUser, whom, admin)

    tea = product.CreateProductRequest(name="Tea", description="Green", price=4.75, inventory=3)
    fails(grpc.StatusCode.PERMISSION_DENIED, products.CreateProduct, tea, grace)
    key = (("idempotency-key", "one-tea"),)
    made = call(products.CreateProduct, tea, admin + key).product
    expect((made.name, made.price, made.inventory) == ("Tea", 4.75, 3), made)
    again = call(products.CreateProduct, tea, admin + key).product
    expect(again == made, "the same answer under the same key")

    which = product.GetProductRequest(id=made.id)
    expect(call(products.GetProduct, which).product == made, "the product as created")
    which.id = "00000000-0000-7000-8000-000000000000"
    fails(grpc.StatusCode.NOT_FOUND, products.GetProduct, which)

    listed = call(products.ListProducts, product.ListProductsRequest(limit=1))
    expect(list(listed.products) == [made] and listed.total >= 1, listed)

    take = product.UpdateInventoryRequest(product_id=made.id, quantity_change=-1)
    expect(call(products.UpdateInventory, take, admin).new_inventory == 2, "one was taken")
    take.quantity_change = -3
    fails(grpc.StatusCode.FAILED_PRECONDITION, products.UpdateInventory, take, admin)
    return created.user.id, grace, admin, made


def order(channel, modules, user_id, grace, admin, tea):
    """Two units of tea from the cart to the customer."""
    cart, cart_grpc, orders, orders_grpc, payment, payment_grpc = modules[4:]
    carts = cart_grpc.CartServiceStub(channel)
    shop = orders_grpc.OrderServiceStub(channel)
    payments = payment_grpc.PaymentServiceStub(channel)

    add = cart.AddToCartRequest(user_id=user_id, product_id=tea.id, quantity=1)
    line = cart.RemoveFromCartRequest(user_id=user_id, product_id=tea.id)
    expect(call(carts.AddToCart, add, grace).cart.total_amount == 4.75, "one unit")
    change = cart.UpdateCartItemRequest(user_id=user_id, product_id=tea.id, new_quantity=2)
    expect(call(carts.UpdateCartItem, change, grace).cart.total_amount == 9.5, "two units")
    # A 0 is not sent: absent is 0, and removes the line.
    change.new_quantity = 0
    expect(not call(carts.UpdateCartItem, change, grace).cart.items, "no units")
    call(carts.AddToCart, add, grace)
    expect(not call(carts.RemoveFromCart, line, grace).cart.items, "an empty cart")
    call(carts.ClearCart, cart.ClearCartRequest(user_id=user_id), grace)
    mine = orders.CreateOrderRequest(user_id=user_id)
    fails(grpc.StatusCode.FAILED_PRECONDITION, shop.CreateOrder, mine, grace)
    add.quantity = 2
    call(carts.AddToCart, add, grace)

    key = (("idempotency-key", "two-teas"),)
    placed = call(shop.CreateOrder, mine, grace + key)
    expect(placed.success and placed.order.status == orders.PAID, placed)
    expect(placed.order.total_amount == 9.5, placed)
    expect(call(shop.CreateOrder, mine, grace + key) == placed, "the same answer under the key")
    bag = call(carts.GetCart, cart.GetCartRequest(user_id=user_id), grace).cart
    expect(not bag.items and bag.total_amount == 0, bag)

    which = orders.GetOrderRequest(id=placed.order.id)
    expect(call(shop.GetOrder, which, grace).order == placed.order, "the order as placed")
    fails(grpc.StatusCode.UNAUTHENTICATED, shop.GetOrder, which)
    listed = call(shop.ListUserOrders, orders.ListUserOrdersRequest(user_id=user_id), grace)
    expect(list(listed.orders) == [placed.order], listed)
    ship = orders.UpdateOrderStatusRequest(order_id=placed.order.id, status=orders.SHIPPED)
    expect(call(shop.UpdateOrderStatus, ship, admin).order.status == orders.SHIPPED, "shipped")
    expect(call(shop.UpdateOrderStatus, ship, admin).order.status == orders.SHIPPED, "still shipped")
    undo = orders.UpdateOrderStatusRequest(order_id=placed.order.id, status=orders.CANCELLED)
    fails(grpc.StatusCode.FAILED_PRECONDITION, shop.UpdateOrderStatus, undo, admin)

    asked = payment.GetPaymentStatusRequest(payment_id=placed.order.id)
    found = call(payments.GetPaymentStatus, asked, grace)
    expect(found.status == payment.SUCCESS and found.amount == 9.5, found)
    again = payment.ProcessPaymentRequest(
        order_id=placed.order.id, user_id=user_id, amount=9.5, payment_method="credit_card"
    )
    fails(grpc.StatusCode.PERMISSION_DENIED, payments.ProcessPayment, again, grace)
    charged = call(payments.ProcessPayment, again, admin)
    expect(charged.success and charged.payment_id == found.payment_id, "no second charge")


def reflect(channel, modules):
    """Compares what the gateway says of itself with what was generated from the contract."""
    told = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(told)
    services = set(told.get_services())
    for module in modules[::2]:
        for name, service in module.DESCRIPTOR.services_by_name.items():
            expect(service.full_name in services, f"{service.full_name} in {services}")
            found = pool.FindServiceByName(service.full_name)
            expect(found.name == name, found)
            for method in service.methods:
                same = found.methods_by_name[method.name]
                for of_contract, told_of in (
                    (method.input_type, same.input_type),
                    (method.output_type, same.output_type),
                ):
                    # Ours may have more fields, and has each of the contract's.
                    numbers = {field.name: field.number for field in told_of.fields}
                    for field in of_contract.fields:
                        expect(numbers.get(field.name) == field.number, field.full_name)
    print("reflection", flush=True)


def main():
    contract, gateway = pathlib.Path(sys.argv[1]), sys.argv[2]
    admin_email, admin_password = sys.stdin.read().split("\n")[:2]
    with tempfile.TemporaryDirectory() as out, grpc.insecure_channel(gateway) as channel:
        names = ("user", "product", "cart", "order", "payment")
        modules = generate(contract, pathlib.Path(out), names)
        made = accounts_and_products(channel, modules, admin_email, admin_password)
        order(channel, modules, *made)
        reflect(channel, modules)


if __name__ == "__main__":
    main()
